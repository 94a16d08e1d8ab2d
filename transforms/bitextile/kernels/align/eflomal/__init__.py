"""The programs of eflomal as an aligner."""
