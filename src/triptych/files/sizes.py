"""Sizes as people read them."""


def human_bytes(n_bytes: int) -> str:
    """1234567 -> "1.2 MB", in powers of 1000."""
    size = float(n_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{n_bytes} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
