"""`python -m docsite`: write the generated pages of the documentation."""

from docsite import included, lists, methods, metrics, reference


def main() -> None:
    """Write all generated pages."""
    for path, text in {
        **reference.files(),
        **lists.files(),
        **methods.files(),
        **included.files(),
        **metrics.files(),
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
