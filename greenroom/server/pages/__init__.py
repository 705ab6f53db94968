"""The pages: signing in, asking, and looking at what happened to every request, stage by stage.

Rendered here, readable without JavaScript; nothing in them comes from another server.
"""
