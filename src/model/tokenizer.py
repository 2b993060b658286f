"""One token a byte, and byte 0, which no text has, for the end of a story; as a tokenizer.json of the ordinary byte-level kind."""

END = 0
END_TOKEN = "<|end|>"


def encode(text):
    return list(text.encode())


def decode(ids):
    return bytes(i for i in ids if i != END).decode(errors="replace")


def byte_symbols():
    """What byte-level tokenizers write for each byte: itself if it is a visible Latin-1 character, else the next one from 256 on."""
    visible = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    symbols, spare = [], 256
    for byte in range(256):
        symbols.append(chr(byte if byte in visible else spare))
        spare += byte not in visible
    return symbols


def vocabulary():
    vocabulary = {symbol: byte for byte, symbol in enumerate(byte_symbols())}
    del vocabulary[byte_symbols()[END]]
    return {END_TOKEN: END, **vocabulary}


TOKENIZER = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [{"id": END, "content": END_TOKEN, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                      "special": True}],
    "normalizer": None,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
    # A prompt begins with the end of the story before it.
    "post_processor": {"type": "TemplateProcessing",
                       "single": [{"SpecialToken": {"id": END_TOKEN, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                       "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
                       "special_tokens": {END_TOKEN: {"id": END_TOKEN, "ids": [END], "tokens": [END_TOKEN]}}},
    "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
    "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
              "fuse_unk": False, "byte_fallback": False, "vocab": vocabulary(), "merges": []},
}
