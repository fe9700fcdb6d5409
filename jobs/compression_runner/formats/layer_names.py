"""How Transformers models call their layers and weights."""

import re
from typing import Final

PROJECTIONS: Final = (
    ("query", "key", "value"),
    ("q_proj", "k_proj", "v_proj"),
    ("q_lin", "k_lin", "v_lin"),
)
"""Query, key and value of an attention layer, each a layer of its own."""
JOINT: Final = "c_attn"
"""GPT-2's query, key and value in one layer, one after the other."""
HEAD_OUT: Final = re.compile(r"\b(query|key|value|q_proj|k_proj|v_proj|q_lin|k_lin|v_lin)\.(weight|bias)$")
HEADS_OUT: Final = re.compile(r"\battn\.c_attn\.(weight|bias)$")
HEAD_IN: Final = re.compile(r"\b(attention\.output\.dense|o_proj|out_proj|out_lin|attn\.c_proj)\.weight$")
HEAD_TABLE: Final = re.compile(r"relative_position_bias_table|relative_attention_bias|rel_attn_embed")
"""Tables of relative positions with a column for each head."""
NORMALIZED: Final = re.compile(r"\.(weight_[gv]|parametrizations\.weight\.original[01])$")
"""Length and direction of a weight that is computed of both (weight_norm)."""
