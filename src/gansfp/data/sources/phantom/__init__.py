"""Virtual patients in a virtual CT scanner: real images for everyone, with a known truth."""

from gansfp.data.sources.phantom.source import PhantomSource

__all__ = ["PhantomSource"]
