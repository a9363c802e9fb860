"""An operation's text -> executable: read, plan, ruled plan, compiled read and shape. Pure, once per operation and view."""
