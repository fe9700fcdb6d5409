"""Name patterns of layers and weights in Transformers models."""

import re
from typing import Final

PROJECTIONS: Final = (
    ("query", "key", "value"),
    ("q_proj", "k_proj", "v_proj"),
    ("q_lin", "k_lin", "v_lin"),
)
"""Names of query, key and value as separate layers."""
JOINT: Final = "c_attn"
"""Name of GPT-2's concatenated query, key and value layer."""
HEAD_OUT: Final = re.compile(r"\b(query|key|value|q_proj|k_proj|v_proj|q_lin|k_lin|v_lin)\.(weight|bias)$")
HEADS_OUT: Final = re.compile(r"\battn\.c_attn\.(weight|bias)$")
HEAD_IN: Final = re.compile(r"\b(attention\.output\.dense|o_proj|out_proj|out_lin|attn\.c_proj)\.weight$")
HEAD_TABLE: Final = re.compile(r"relative_position_bias_table|relative_attention_bias|rel_attn_embed")
"""Tables of relative positions with a column for each head."""
NORMALIZED: Final = re.compile(r"\.(weight_[gv]|parametrizations\.weight\.original[01])$")
"""Length and direction of a weight with weight_norm."""
