"""Accounts in and out as CSV and JSON files, by the rules of the load file.

- `columns`, `csv_file`, `json_file`: files and the rows in them, with formulas defused.
- `checking`: the rows as checked entries, and every fault with its place.
- `writing`: entries compared with the database, and brought in, many at once.
- `accounts`: the import and the export as a whole.
"""
