"""A finished notebook as something to read: HTML now; PDF, Markdown and DOCX later.

Import from the modules: `html` brings in nbconvert, which the service itself never needs.
"""
