"""How much one file may cost. The defaults are ours."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """Bounds on input, work and output of one parse.

    The archive bounds hold for ZIP-based formats: what the central directory declares, before anything
    is unpacked. `memory_bytes` bounds the address space of the child process.
    """

    max_bytes: int = 200 * 1000 * 1000
    max_text_bytes: int = 50 * MIB
    max_pages: int = 5_000
    max_pixels: int = 100_000_000
    archive_entries: int = 10_000
    archive_entry_bytes: int = 100 * MIB
    archive_total_bytes: int = 250 * MIB
    archive_ratio: int = 100
    archive_ratio_floor_bytes: int = 10 * MIB
    wall_s: float = 300.0
    cpu_s: int = 300
    memory_bytes: int = 1536 * MIB
    output_bytes: int = 64 * MIB
    documents_per_child: int = 50
