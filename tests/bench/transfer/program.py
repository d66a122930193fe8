"""Programs that are run for a figure: always bounded, their words kept for the error."""
import os
import signal
import subprocess

# No single run takes longer than this.
MOST_SECONDS = 300


class Failed(Exception):
    """A run that gave no figure, with what it said."""


def start(command, **options):
    """A program in a process group of its own, so that nothing of it is left."""
    return subprocess.Popen(
        command, stdin=options.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True, **options)


def end(child):
    """Ends a program and all that it started."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe:
            pipe.close()


def finish(child, told=None, seconds=MOST_SECONDS):
    """What a program wrote, or why it failed."""
    try:
        out, error = child.communicate(told, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise Failed(f"{child.args[0]} did not end within {seconds} s") from None
    finally:
        end(child)
    if child.returncode != 0:
        words = (error.strip() or out.strip() or "nothing").splitlines()[-3:]
        raise Failed(f"{child.args[0]} ended with {child.returncode} and said: {' | '.join(words)}")
    return out


def run(command, told=None, seconds=MOST_SECONDS, **options):
    """Runs a program to its end and gives what it wrote."""
    return finish(start(command, stdin=subprocess.PIPE if told is not None else subprocess.DEVNULL, **options), told, seconds)
