# The terminal multiplexer.
$(eval $(call component,terminal,services/terminal/terminal.c services/terminal/screen.c,component base g,services framework abi lib))
