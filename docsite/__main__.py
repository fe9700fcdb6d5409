"""`python -m docsite`: writes the pages of the documentation that are generated."""

from docsite import lists, reference


def main() -> None:
    """Write all of them."""
    for path, text in {**reference.files(), **lists.files()}.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
