/* SPDX-License-Identifier: MIT */
/* The code cache and its blocks. */
#include "vmm/engines/recompiler/translate.h"

#define ROOM 16384u // no block is longer

static uint32_t *bucket(struct blocks *blocks, uint64_t page, unsigned offset, unsigned mode)
{
    uint64_t key = page ^ (uint64_t)offset << 3 ^ (uint64_t)mode << 14 ^ page >> 14;

    return &blocks->hash[(key ^ key >> 16) & (BLOCKS_HASH - 1)];
}

bool blocks_init(struct blocks *blocks, struct host *host, const struct recompiler_code *code,
                 uint64_t memory_end)
{
    blocks->code = *code;
    blocks->page_count = memory_end >> 12;
    blocks->pages = host_alloc(host, blocks->page_count * sizeof(struct page), 16);
    blocks->hash = host_alloc(host, BLOCKS_HASH * sizeof(uint32_t), 16);
    blocks->around = host_alloc(host, (code->size / BLOCKS_AROUND + 1) * sizeof(uint32_t), 16);
    blocks->block = host_alloc(host, BLOCKS_MAX * sizeof(struct block), 16);
    blocks->translation = host_alloc(host, sizeof(struct translation), 64);
    if (!blocks->pages || !blocks->hash || !blocks->around || !blocks->block || !blocks->translation)
        return false;
    blocks->emit = (struct emit){
        .out = code->writable, .end = code->writable + code->size,
        .executable = (ptrdiff_t)((uintptr_t)code->executable - (uintptr_t)code->writable),
    };
    blocks->count = 1;
    stubs_make(blocks);
    blocks->begin = blocks->emit.out;
    return true;
}

void blocks_free(struct blocks *blocks, struct host *host)
{
    if (blocks->pages)
        host_free(host, blocks->pages);
    if (blocks->hash)
        host_free(host, blocks->hash);
    if (blocks->around)
        host_free(host, blocks->around);
    if (blocks->block)
        host_free(host, blocks->block);
    if (blocks->translation)
        host_free(host, blocks->translation);
}

struct block *blocks_find(struct blocks *blocks, const struct origin *p)
{
    for (uint32_t n = *bucket(blocks, p->page, p->offset, p->mode); n;
         n = blocks->block[n].next_hash) {
        struct block *b = &blocks->block[n];

        if (b->page == p->page && b->page2 == p->page2 && b->first == p->offset &&
            b->mode == p->mode)
            return b;
    }
    return NULL;
}

bool blocks_crosses(const uint8_t *bytes, unsigned offset, unsigned mode)
{
    uint8_t copy[INSN_MAX + 1] = {0};
    unsigned left = PAGE_BYTES - offset;
    struct insn insn;

    if (left >= INSN_MAX)
        return false;
    for (unsigned i = 0; i < left; i++)
        copy[i] = bytes[offset + i];
    return decode(copy, left, mode & REC_MODE_64 ? 8 : 4, &insn) == DECODE_SHORT;
}

struct block *blocks_translate(struct blocks *blocks, const struct origin *place)
{
    struct emit *e = &blocks->emit;
    uint32_t n = blocks->count, begin = blocks_offset(blocks, e->out), *hash;
    struct block *b = &blocks->block[n];
    struct page *p = blocks_page(blocks, place->page);

    if (n == BLOCKS_MAX || e->end - e->out < (ptrdiff_t)ROOM)
        return NULL;
    *b = (struct block){.page = place->page, .page2 = place->page2,
                        .first = (uint16_t)place->offset, .mode = (uint16_t)place->mode};
    if (!translate(blocks, b, place))
        return NULL;
    for (uint32_t i = (begin + BLOCKS_AROUND - 1) / BLOCKS_AROUND;
         i * BLOCKS_AROUND < blocks_offset(blocks, e->out); i++)
        blocks->around[i] = n;
    hash = bucket(blocks, place->page, place->offset, place->mode);
    b->next_hash = *hash;
    *hash = n;
    b->next_page = p->first;
    p->first = n;
    if (b->page2 != BLOCK_ONE_PAGE) {
        b->next_crossing = blocks->crossing;
        blocks->crossing = n;
    }
    blocks->count++;
    blocks->translated++;
    return b;
}

struct block *blocks_at(const struct blocks *blocks, uint64_t pc)
{
    uint64_t offset = pc - (uint64_t)(uintptr_t)blocks->code.executable;
    uint32_t n;

    if (offset >= blocks->code.size || blocks->count < 2 || offset < blocks->block[1].code)
        return NULL;
    n = blocks->around[offset / BLOCKS_AROUND];
    if (n == 0)
        n = 1; // the stubs are in front of it
    while (n + 1 < blocks->count && blocks->block[n + 1].code <= offset)
        n++;
    return &blocks->block[n];
}

static void unlink_hash(struct blocks *blocks, struct block *b)
{
    uint32_t n = (uint32_t)(b - blocks->block);
    uint32_t *p = bucket(blocks, b->page, b->first, b->mode);

    while (*p && *p != n)
        p = &blocks->block[*p].next_hash;
    if (*p)
        *p = b->next_hash;
}

/* Nobody finds it any more; those of its own page may still be in its page's list. */
static void kill(struct blocks *blocks, struct block *b)
{
    struct emit e = blocks->emit;

    if (b->dead)
        return;
    e.out = blocks->code.writable + b->code;
    emit_jmp(&e, blocks->stubs.lookup);
    e.out = blocks->code.writable + b->checked;
    emit_jmp(&e, blocks->stubs.unknown);
    unlink_hash(blocks, b);
    b->dead = true;
    blocks->invalidated++;
}

static bool is_page(const struct blocks *blocks, const struct page *page, uint64_t gpa)
{
    return gpa != BLOCK_ONE_PAGE && &blocks->pages[gpa >> 12] == page;
}

static void drop_crossing(struct blocks *blocks, const struct page *page)
{
    for (uint32_t *n = &blocks->crossing; *n;) {
        struct block *b = &blocks->block[*n];

        if (is_page(blocks, page, b->page2))
            kill(blocks, b);
        if (b->dead)
            *n = b->next_crossing;
        else
            n = &b->next_crossing;
    }
}

void blocks_drop_page(struct blocks *blocks, struct page *page)
{
    for (uint32_t n = page->first; n; n = blocks->block[n].next_page)
        kill(blocks, &blocks->block[n]);
    drop_crossing(blocks, page);
    page->first = 0;
    page->writes = 0;
    atomic_fetch_and(&page->flags, (uint8_t)~PAGE_CODE);
}

static void forget(struct blocks *blocks, uint64_t gpa)
{
    struct page *page = blocks_page(blocks, gpa);

    page->first = 0;
    page->writes = 0;
    atomic_fetch_and(&page->flags, (uint8_t)~PAGE_CODE);
}

void blocks_flush(struct blocks *blocks)
{
    for (uint32_t n = 1; n < blocks->count; n++) {
        forget(blocks, blocks->block[n].page);
        if (blocks->block[n].page2 != BLOCK_ONE_PAGE)
            forget(blocks, blocks->block[n].page2);
    }
    for (unsigned i = 0; i < BLOCKS_HASH; i++)
        blocks->hash[i] = 0;
    blocks->count = 1;
    blocks->crossing = 0;
    blocks->emit.out = blocks->begin;
    blocks->emit.full = false;
    blocks->flushes++;
}

bool blocks_overlap(const struct blocks *blocks, const struct page *page, unsigned offset,
                    unsigned size)
{
    for (uint32_t n = page->first; n; n = blocks->block[n].next_page) {
        const struct block *b = &blocks->block[n];

        if (offset < b->end && offset + size > b->low)
            return true;
    }
    if (offset >= INSN_MAX)
        return false;
    for (uint32_t n = blocks->crossing; n; n = blocks->block[n].next_crossing)
        if (!blocks->block[n].dead && is_page(blocks, page, blocks->block[n].page2))
            return true;
    return false;
}
