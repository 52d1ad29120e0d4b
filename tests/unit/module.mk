# Unit tests on Linux: one program a file, each speaking TAP.
#   $(call lib-unit-test,NAME,LINK FLAGS,MORE SOURCES)   lib_NAME.c with lib
lib-unit-test = $(eval $(call unittest,unit-lib-$(1),\
    tests/unit/lib_$(1).c tests/unit/tap.c $(3),g,lib tests/unit,$(2)))

$(call lib-unit-test,string)
$(call lib-unit-test,text)
$(call lib-unit-test,format)
$(call lib-unit-test,containers)
$(call lib-unit-test,rbtree)
$(call lib-unit-test,ring,-pthread)
$(call lib-unit-test,elf)
$(call lib-unit-test,xml,-lexpat,tests/unit/xml_oracle.c tests/unit/xml_generate.c)
