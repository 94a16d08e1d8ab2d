"""What mkdocs calls: adds the generated pages, and READMEs of the repository as pages of the site.

Pages link to each other as files of the repository, so that they work there too. A link to a file
that is no page, such as a module, becomes its text here.
"""

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

REPOSITORY = Path(__file__).resolve().parents[2]
MIRRORED = {
    "transforms/README.md": "guide/transforms.md",
    "transforms/VARIANTS.md": "guide/variants.md",
    "trainer/README.md": "guide/trainer.md",
    "pipelines/README.md": "guide/pipelines.md",
    "docker/README.md": "guide/docker.md",
    "CONTRIBUTING.md": "guide/contributing.md",
    "SECURITY.md": "guide/security.md",
    "CHANGELOG.md": "guide/changelog.md",
    "README.md": "guide/readme.md",
}
"""File of the repository to its page."""
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that are made, and those that lie outside of docs/."""
    # mkdocs imports this file by its path, so that the module beside it has to be found.
    sys.path.insert(0, str(Path(__file__).parent))
    from reference import PAGES

    made = {path: make() for path, make in PAGES.items()}
    for origin, path in MIRRORED.items():
        made[path] = (REPOSITORY / origin).read_text(encoding="utf-8")
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, files: Files, **_: Any) -> str:
    """Returns a page with its links as the site has them."""
    here = page.file.src_uri
    origins = {path: origin for origin, path in MIRRORED.items()}
    origin = origins.get(here, f"docs/{here}")
    if here == MIRRORED["README.md"]:
        # Its own HTML, which mkdocs does not follow; the path as README has it.
        markdown = markdown.replace('src="docs/', 'src="../')

    def rewritten(found: re.Match[str]) -> str:
        text, target = found[1], found[2]
        if re.match(r"[a-z]+:|#", target):
            return found[0]
        path, _, anchor = target.partition("#")
        place = posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))
        uri = MIRRORED.get(place, place.removeprefix("docs/"))
        is_page = place in MIRRORED or files.get_file_from_path(uri) is not None
        if is_page:
            to = posixpath.relpath(uri, posixpath.dirname(here) or ".")
            return f"[{text}]({to}{'#' + anchor if anchor else ''})"
        return text if (REPOSITORY / place).exists() else found[0]

    # A word behind the language of a block is for our tests; superfences would see no block at all.
    return _LINK.sub(rewritten, re.sub(r"^(```\w+) \w+$", r"\1", markdown, flags=re.MULTILINE))
