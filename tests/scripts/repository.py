# SPDX-License-Identifier: Apache-2.0
"""A small git repository in a temporary directory, for tests of scripts."""
import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile

TEAL = pathlib.Path(__file__).resolve().parents[2]


class Repository:
    """`copied` are files and folders of Teal's repository that it gets; add more by write()."""

    def __init__(self, directory, copied):
        self.root = pathlib.Path(directory) / "repo"
        for name in copied:
            (self.root / name).parent.mkdir(exist_ok=True, parents=True)
            copy = shutil.copytree if (TEAL / name).is_dir() else shutil.copy2
            copy(TEAL / name, self.root / name)
        self.root.mkdir(exist_ok=True)
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "a test")
        self.git("config", "user.email", "test@example.org")

    def git(self, *words):
        done = self.run("git", *words)
        if done.returncode != 0:
            raise AssertionError(f"git {' '.join(words)}: exit code {done.returncode}: {done.stderr}")
        return done.stdout.strip()

    def run(self, *command):
        # Variables such as GIT_DIR are set if a git hook runs the tests.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, env=environment)

    def write(self, name, *lines, mode=0o644):
        path = self.root / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text("".join(f"{line}\n" for line in lines))
        path.chmod(mode)

    def remove(self, name):
        (self.root / name).unlink()

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "all")

    def script(self, name, *words):
        """Runs a script of the repository. Returns its exit code and its output."""
        done = self.run(self.root / name, *words)
        return done.returncode, done.stdout + done.stderr


@contextlib.contextmanager
def temporary(kind, *arguments):
    """A Repository, or another class of `kind`, in a directory that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="teal-scripts-") as directory:
        yield kind(directory, *arguments)
