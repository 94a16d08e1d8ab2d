"""Programs that are not there, fail, or write what does not fit."""

import re

import pytest

from bitextile.kernels.align.eflomal.config import EflomalOptions
from bitextile.schema.errors import BitextileError, ConfigError
from fake_eflomal import install


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("import sys; sys.exit('no memory')", "ended with exit code 1: no memory"),
        ("", "wrote no file of 'f'"),
        ("open('f', 'w'); open('r', 'w')", "wrote 0 lines of links for 1 pairs"),
        ("[open(n, 'w').write('0-0 0-1\\n') for n in 'fr']", "a link outside its sentence"),
        ("[open(n, 'w').write('0-x\\n') for n in 'fr']", "malformed links"),
        ("[open(n, 'w').write('0-0-0\\n') for n in 'fr']", "malformed links"),
    ],
)
def test_an_answer_that_does_not_fit_is_an_error(run, tmp_path, program, sentence) -> None:
    with pytest.raises(BitextileError, match=re.escape(sentence)):
        run.links(
            run.column("a"), run.column("x"), EflomalOptions(bin_dir=install(tmp_path, program))
        )


def test_not_installed_is_said_in_a_sentence(run, tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"eflomal-align is not in .*pip install eflomal"):
        run.links(run.column("a"), run.column("x"), EflomalOptions(bin_dir=str(tmp_path)))
    (tmp_path / "eflomal-align").write_text("#!/no/such/interpreter\n")
    (tmp_path / "eflomal-align").chmod(0o755)
    with pytest.raises(ConfigError, match="cannot be run"):
        run.links(run.column("a"), run.column("x"), EflomalOptions(bin_dir=str(tmp_path)))
