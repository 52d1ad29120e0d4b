# Driver for the 16550 UART.
$(eval $(call component,uart,drivers/uart/uart.c,component base g,framework abi lib))
