// htmx as the site's content security policy (docs/adr/0007) wants it: it writes no style element into the
// page, evaluates no attribute, and runs no script of what it fetched.
htmx.config.includeIndicatorStyles = false;
htmx.config.allowEval = false;
htmx.config.allowScriptTags = false;
