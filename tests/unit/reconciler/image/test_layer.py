"""The same files are the same bytes."""

import io
import tarfile

from jac_converge.reconciler.image.layer import Entry, write_layer


def entry(content: bytes, *, executable: bool = False) -> Entry:
    """Make a file."""
    return Entry(open=lambda: io.BytesIO(content), size=len(content), executable=executable)


def test_layer_is_the_same_in_whatever_order_files_come() -> None:
    """Nothing of the order shows, and the compressed bytes have no time in them."""
    files = {"/app/b": entry(b"2"), "/app/a": entry(b"1"), "/etc/c/d": entry(b"3")}
    one, two = io.BytesIO(), io.BytesIO()
    first = write_layer(files, one, owner=(7, 8), folders=["/app"])
    second = write_layer(dict(reversed(files.items())), two, owner=(7, 8), folders=["/app"])
    assert (first, one.getvalue()) == (second, two.getvalue())
    assert (first.size, b"\0\0\0\0") == (len(one.getvalue()), one.getvalue()[4:8])


def test_layer_gives_folders_their_owner() -> None:
    """What is below them too; what is beside or above them is root's."""
    out = io.BytesIO()
    files = {"/srv/app/a": entry(b"1", executable=True), "/opt/b": entry(b"2")}
    write_layer(files, out, owner=(7, 8), folders=["/srv/app", "/home/jac"])
    out.seek(0)
    with tarfile.open(fileobj=out) as tar:
        found = [(m.name, oct(m.mode), m.uid, m.gid, m.isdir()) for m in tar]
    assert [
        ("home", "0o755", 0, 0, True),
        ("home/jac", "0o755", 7, 8, True),
        ("opt", "0o755", 0, 0, True),
        ("opt/b", "0o644", 0, 0, False),
        ("srv", "0o755", 0, 0, True),
        ("srv/app", "0o755", 7, 8, True),
        ("srv/app/a", "0o755", 7, 8, False),
    ] == found
