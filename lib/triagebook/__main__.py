"""`python -m triagebook`: the same as the command `triagebook`."""

from triagebook.cli.main import main

if __name__ == "__main__":
    main()
