# libg: freestanding C that the kernel, components and Linux programs share.
# On Linux the C library brings the string functions.
lib-sources := lib/bitmap.c lib/checksum.c lib/elf.c lib/format.c lib/rbtree.c lib/ring.c lib/text.c lib/utf8.c lib/xml.c

$(eval $(call library,g,kernel user,$(lib-sources) lib/string.c,lib))
$(eval $(call library,g,host,$(lib-sources),lib))
