"""The statistical aligner: IBM-1, then two HMMs trained to agree."""
