"""costmodel: what a CPU cache flush costs a KVM host, and which flush strategy each guest type should use."""

__version__ = "0.1.0"
