# Unit tests on Linux: one program a file, each speaking TAP.
lib-unit-test = $(eval $(call unittest,unit-lib-$(1),tests/unit/lib_$(1).c tests/unit/tap.c,g,lib tests/unit,$(2)))

$(call lib-unit-test,string)
$(call lib-unit-test,text)
$(call lib-unit-test,format)
$(call lib-unit-test,containers)
$(call lib-unit-test,rbtree)
$(call lib-unit-test,ring,-pthread)
$(call lib-unit-test,elf)

$(eval $(call unittest,unit-lib-xml,tests/unit/lib_xml.c tests/unit/xml_oracle.c tests/unit/xml_generate.c tests/unit/tap.c,g,\
    lib tests/unit,-lexpat))
