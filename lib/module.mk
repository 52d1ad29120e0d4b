# libg: freestanding C that the kernel, components and Linux programs share.
# On Linux the C library brings the string functions.
lib-sources := $(addprefix lib/,bitmap.c calendar.c checksum.c elf.c format.c rbtree.c ring.c text.c utf8.c \
                               xml.c)

$(eval $(call library,g,kernel user,$(lib-sources) lib/memory.c lib/string.c,lib))
$(eval $(call library,g,host,$(lib-sources),lib))
