"""The embedded sample corpus: six-way parallel sentences, monolingual text, gold alignments."""
