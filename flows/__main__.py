"""``python -m pushforward.flows``: the command line, as the `pushforward` script runs it."""

from pushforward.flows.cli import main

if __name__ == "__main__":
    main()
