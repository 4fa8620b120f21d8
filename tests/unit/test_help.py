from __future__ import annotations

import shutil
import subprocess

import pytest

from cpo.cli import COMMANDS, GROUPS, main
from cpo.commands.help import coloured


def test_help_is_plain_where_no_person_reads_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert "\033" not in shown
    assert all(path.split()[0] in shown for path in COMMANDS)


def test_colours_change_no_letter() -> None:
    text = "usage: cpo\n\noptions:\n  -h, --help      help\n  --out FILE      file\ncommands:\n    list   what\n"
    shown = coloured(text)
    for code in ("\033[1m", "\033[36m", "\033[0m"):
        assert code in shown
        shown = shown.replace(code, "")
    assert shown == text


def completed(line: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What bash offers at the end of a line."""
    main(["completion", "bash"])
    script = capsys.readouterr().out
    words = line.split(" ")
    ask = f'COMP_WORDS=({" ".join(words)!s} ""); COMP_CWORD={len(words) - 1}; _cpo; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "--norc", "-c", f"{script}\n{ask}"], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_commands_their_commands_and_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    assert completed("cpo re", capsys) == ["report"]
    assert set(completed("cpo graph ", capsys)) == {p.split()[1] for p in COMMANDS if p.startswith("graph ")}
    assert completed("cpo list lo", capsys) == [kind for kind in GROUPS if kind.startswith("lo")]
    assert completed("cpo report ", capsys) == []  # files, by the shell itself


def test_zsh_gets_bash_s_completion_loaded_first(capsys: pytest.CaptureFixture[str]) -> None:
    main(["completion", "zsh"])
    assert capsys.readouterr().out.splitlines()[1].startswith("autoload -U +X bashcompinit")
