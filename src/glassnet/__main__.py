"""Lets ``python -m glassnet`` do what ``glassnet`` does."""

from glassnet.cli import main

if __name__ == "__main__":
    main()
