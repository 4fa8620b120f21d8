"""How `cpo --help` looks, and what a shell completes; nothing here takes time to import."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

BOLD, NAME, PLAIN = "\033[1m", "\033[36m", "\033[0m"
SHELLS = ("bash", "zsh")
COMPLETION = """\
# Tab completion of `cpo`, made by `cpo completion`.
{prefix}_cpo() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" words=""
  case "$COMP_CWORD:${{COMP_WORDS[1]}}" in
    1:*) words="{commands}" ;;
{cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _cpo cpo
"""


class HelpParser(argparse.ArgumentParser):
    """A parser whose help has bold headings and coloured names, in a terminal and unless `NO_COLOR` is set."""

    def __init__(self, **knobs: Any) -> None:
        narrow = partial(argparse.HelpFormatter, max_help_position=20)
        super().__init__(**{"formatter_class": narrow, **knobs})

    def format_help(self) -> str:
        """See `argparse.ArgumentParser`."""
        text = super().format_help()
        return coloured(text) if sys.stdout.isatty() and "NO_COLOR" not in os.environ else text


def coloured(text: str) -> str:
    r"""Help with colours: headings stand at the margin and end in a colon, names behind an indent.

    Example:
        >>> coloured("commands:\n  list      what there is")
        '\x1b[1mcommands:\x1b[0m\n  \x1b[36mlist\x1b[0m      what there is'
    """
    headed = re.sub(r"^(\w[\w ]*:)", rf"{BOLD}\1{PLAIN}", text, flags=re.MULTILINE)
    return re.sub(
        r"^( {2,4})(-{0,2}[\w-]+(?:, --[\w-]+)?)(?=$| {2,}| [A-Z])", rf"\1{NAME}\2{PLAIN}", headed, flags=re.MULTILINE
    )


def completion(shell: str, words: Mapping[str, Sequence[str]]) -> str:
    """A script that makes a shell complete the command; where it knows no word, the shell offers files.

    Args:
        shell: One of `SHELLS`.
        words: What may follow each command; under the empty name the commands themselves.
    """
    cases = "\n".join(f'    2:{command}) words="{" ".join(some)}" ;;' for command, some in words.items() if command)
    prefix = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return COMPLETION.format(prefix=prefix, commands=" ".join(words[""]), cases=cases)
