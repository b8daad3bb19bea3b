"""`own_files()`: files that only the account reaches which made them.

```jac
import from jac_converge.files { own_files }

walker keep {
    has file: UploadFile;

    can go with Root entry {
        report own_files().upload(self.file, "photos/me.png");
    }
}
```

It is what `store()` is, in a folder for each account, which goes with the account. Apps import
this, so it imports nothing of weight. It changes with what an app may say of files.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jac_converge.app_runtime.bridge.storing import FileStorage

__all__ = ["own_files"]


def own_files() -> "FileStorage":
    """Return the files of the account that calls.

    Raises:
        PermissionError: an anonymous caller has none, which becomes a 403.
    """
    from jac_converge.app_runtime.bridge import storing  # noqa: PLC0415 - heavy

    return storing.own_files()
