"""Command-line tools. No codec logic here."""
