"""How the world speaks: dialects and framing, bytes in and bytes out, without a socket."""
