"""``afterglow completion``: what a shell runs to complete our options, verbs and files."""

import argparse
import sys

from afterglow_layer.failure import Failure

SHELLS = ("bash", "zsh", "fish")

EPILOG = """\
examples:
  source <(afterglow completion bash)                                                     for this shell
  echo 'source <(afterglow completion bash)' >> ~/.bashrc                                 for every one
  echo 'autoload -U compinit && compinit; source <(afterglow completion zsh)' >> ~/.zshrc
  afterglow completion fish > ~/.config/fish/completions/afterglow.fish

exit status: 0 printed · 1 argcomplete is not installed · 2 wrong usage
"""


def add_to(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``completion``."""
    parser = verbs.add_parser(
        "completion",
        help="print what makes your shell complete this command",
        description="Print a script for your shell. It asks the command itself what may come next, so it need not be "
        "made anew when the options change.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=SHELLS)
    parser.set_defaults(act=act)


def act(asked: argparse.Namespace) -> int:
    """Print the script."""
    try:
        from argcomplete.shell_integration import shellcode  # noqa: PLC0415 - for those who complete
    except ModuleNotFoundError:
        raise Failure("argcomplete is not installed; pip install 'afterglow[completion]'") from None
    sys.stdout.write(shellcode(["afterglow"], shell=asked.shell))
    return 0


def answer_shell(parser: argparse.ArgumentParser) -> None:
    """Tell the shell that asks what may come next, and end; argcomplete's protocol is variables and descriptor 8."""
    try:
        import argcomplete  # noqa: PLC0415 - as above
    except ModuleNotFoundError:
        sys.exit(1)
    argcomplete.autocomplete(parser)
