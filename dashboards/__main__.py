"""``python -m dashboards``, in the repository's root: write the dashboards, the rules, and the chart's copies."""

from dashboards.generated import files

if __name__ == "__main__":
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
