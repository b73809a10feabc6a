"""A file as bytes and as text, so that everything that a fix does not touch comes back byte for byte."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import shutil
import tempfile
import tokenize
from typing import NamedTuple


class Document(NamedTuple):
    """The text of a file as it stands, newlines and all; its encoding; its byte order mark or b""."""

    text: str
    encoding: str
    bom: bytes

    @classmethod
    def decode(cls, data: bytes) -> Document:
        """Read bytes as flake8 does: by the coding line, and as latin-1 where they are not what that line says.

        Raises ValueError where the text cannot be turned back into the same bytes (ISO-2022-JP with a redundant
        escape sequence, say).
        """
        bom = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
        body = data[len(bom) :]
        try:
            encoding = tokenize.detect_encoding(io.BytesIO(data).readline)[0].removesuffix("-sig")
            text = body.decode(encoding)
        except (SyntaxError, UnicodeError, LookupError):
            encoding = "latin-1"
            text = body.decode(encoding)
        document = cls(text, encoding, bom)
        if document.encode(text) != data:
            raise ValueError(f"its {encoding} would not survive a change")
        return document

    def encode(self, text: str) -> bytes:
        """`text` as bytes of this file. Raises UnicodeEncodeError for what its encoding lacks."""
        return self.bom + text.encode(self.encoding)


def write(path: str, data: bytes) -> None:
    """Replace the content of the file at `path`, or of the file that it links to, all at once, keeping its mode.

    Raises OSError; then the file is as it was. Hard links to the file are cut, which is what "all at once" costs.
    """
    target = os.path.realpath(path)
    if not os.access(target, os.W_OK):  # replacing a file needs no right to write it
        raise PermissionError(13, os.strerror(13), path)
    handle, temporary = tempfile.mkstemp(prefix=".flake8-detach-", dir=os.path.dirname(target))
    try:
        with open(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(handle)
        shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException:  # KeyboardInterrupt, too, leaves nothing behind
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
