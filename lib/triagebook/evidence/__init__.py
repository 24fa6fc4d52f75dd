"""Collect evidence within a time budget; keep the ledger of it; write and read bundles."""
