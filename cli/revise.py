"""What commands share that write a changed scene as a .csgs file again."""

from __future__ import annotations

from pathlib import Path

from csgs_codec.cli.common import say

from csgs_codec.errors import UnsupportedError
from csgs_codec.scene import Scene


def encode_like(source: Path, scene: Scene, quality: float, fast: bool = False) -> bytes:
    """Encode a scene with the groups, attachments and object names of the file it is from."""
    try:
        from csgs_codec.encoder import EncodeOptions, encode
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            f"encoding needs {error.name}: pip install 'csgs_codec[encode]'"
        ) from error
    from csgs_codec.revise import options_like

    wanted = EncodeOptions(quality=quality, look=not fast)
    result = encode(scene, options_like(source, scene, wanted))
    for note in result.notes:
        say(f"note: {note}")
    say(
        f"note: encoded anew at quality {quality:g} from decoded values: a second generation of "
        "loss; a .ply output has none"
    )
    return result.data
