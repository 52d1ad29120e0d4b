# Fuzz targets for libFuzzer. Inputs in seeds/NAME/ are run first, NAME.dict helps the mutations;
# what a run finds of interest is kept in build/fuzz/corpus/NAME for the next one.
$(eval $(call fuzzer,xml,tests/fuzz/xml.c tests/unit/xml_oracle.c,g,lib tests/unit,-lexpat))
$(eval $(call fuzzer,elf,tests/fuzz/elf.c,g,lib))
# The decoder against Zydis.
$(eval $(call fuzzer,decode,tests/fuzz/decode.c tests/cpu/zydis.c,vmmcpu g,vmm lib tests/cpu,-lZydis))
