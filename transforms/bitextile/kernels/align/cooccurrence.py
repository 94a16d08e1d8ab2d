import numba as nb
import numpy as np

jit = nb.njit(cache=True, nogil=True, fastmath={"contract", "nsz"}, error_model="numpy")


@jit
def occurrences(tokens, n_words):
    start = np.zeros(n_words + 1, np.int64)
    for t in range(len(tokens)):
        start[tokens[t] + 1] += 1
    for w in range(n_words):
        start[w + 1] += start[w]
    fill = start[:-1].copy()
    where = np.empty(len(tokens), np.int32)
    for t in range(len(tokens)):
        where[fill[tokens[t]]] = t
        fill[tokens[t]] += 1
    return start, where


@jit
def sentence_of(offsets):
    out = np.empty(offsets[-1], np.int32)
    for s in range(len(offsets) - 1):
        for t in range(offsets[s], offsets[s + 1]):
            out[t] = s
    return out


@jit
def _tally(e, occ, where, sent, tgt, toff, seen, touched):
    """Counts target words beside source word e; returns (number of distinct, total)."""
    n = 0
    total = 0
    for o in range(occ[e], occ[e + 1]):
        s = sent[where[o]]
        for j in range(toff[s], toff[s + 1]):
            f = tgt[j]
            if seen[f] == 0:
                touched[n] = f
                n += 1
            seen[f] += 1
        total += toff[s + 1] - toff[s]
    return n, total


@jit
def candidate_sizes(e0, e1, occ, where, sent, tgt, toff, freq, ratio, size):
    seen = np.zeros(len(freq), np.int32)
    touched = np.empty(len(freq), np.int32)
    for e in range(e0, e1):
        n, total = _tally(e, occ, where, sent, tgt, toff, seen, touched)
        scale = ratio * total / max(1, len(tgt))
        kept = 0
        for k in range(n):
            f = touched[k]
            if seen[f] > scale * freq[f]:
                kept += 1
            seen[f] = 0
        size[e] = kept


@jit
def candidate_fill(e0, e1, occ, where, sent, tgt, toff, freq, ratio, ptr, col, count, t_fe):
    seen = np.zeros(len(freq), np.int32)
    touched = np.empty(len(freq), np.int32)
    for e in range(e0, e1):
        n, total = _tally(e, occ, where, sent, tgt, toff, seen, touched)
        scale = ratio * total / max(1, len(tgt))
        at = ptr[e]
        for k in range(n):
            f = touched[k]
            if seen[f] > scale * freq[f]:
                col[at] = f
                count[at] = seen[f]
                t_fe[at] = seen[f] / total
                at += 1
            seen[f] = 0


@jit
def ibm1_totals(s0, s1, occ, where, sent, soff, tgt, toff, ptr, col, t_fe, t_ef, null_s, z_s, z_t):
    """z_t[j] += sum_i t(f_j|e_i); z_s[i] += sum_j t(e_i|f_j), for sentences s0..s1."""
    n_f = 0
    for k in range(len(col)):
        n_f = max(n_f, col[k] + 1)
    for j in range(toff[s0], toff[s1]):
        n_f = max(n_f, tgt[j] + 1)
    dense = np.zeros((n_f, 2), np.float32)
    lo, hi = soff[s0], soff[s1]
    for e in range(len(ptr) - 1):
        a = occ[e] + np.searchsorted(where[occ[e] : occ[e + 1]], lo)
        b = occ[e] + np.searchsorted(where[occ[e] : occ[e + 1]], hi)
        if a == b:
            continue
        for k in range(ptr[e], ptr[e + 1]):
            dense[col[k], 0] = t_fe[k]
            dense[col[k], 1] = t_ef[k]
        for o in range(a, b):
            i = where[o]
            s = sent[i]
            z = null_s[e]
            for j in range(toff[s], toff[s + 1]):
                f = tgt[j]
                z_t[j] += dense[f, 0]
                z += dense[f, 1]
            z_s[i] = z
        for k in range(ptr[e], ptr[e + 1]):
            dense[col[k], 0] = 0
            dense[col[k], 1] = 0


@jit
def ibm1_counts(e0, e1, occ, where, sent, tgt, toff, ptr, col, t_fe, t_ef, iz_s, iz_t, n_f, count):
    acc = np.zeros(n_f, np.float32)
    for e in range(e0, e1):
        cells = 0
        for o in range(occ[e], occ[e + 1]):
            i = where[o]
            s = sent[i]
            a = iz_s[i]
            cells += toff[s + 1] - toff[s]
            for j in range(toff[s], toff[s + 1]):
                acc[tgt[j]] += a * iz_t[j]
        for k in range(ptr[e], ptr[e + 1]):
            count[k] = t_fe[k] * t_ef[k] * acc[col[k]]
        if cells > n_f:
            acc[:] = 0
        else:
            for o in range(occ[e], occ[e + 1]):
                s = sent[where[o]]
                for j in range(toff[s], toff[s + 1]):
                    acc[tgt[j]] = 0


@jit
def cell_sizes(e0, e1, occ, where, sent, tgt, toff, ptr, col, n_f, size):
    known = np.zeros(n_f, np.uint8)
    for e in range(e0, e1):
        for k in range(ptr[e], ptr[e + 1]):
            known[col[k]] = 1
        for o in range(occ[e], occ[e + 1]):
            i = where[o]
            s = sent[i]
            n = 0
            for j in range(toff[s], toff[s + 1]):
                n += known[tgt[j]]
            size[i] = n
        for k in range(ptr[e], ptr[e + 1]):
            known[col[k]] = 0


@jit
def cell_fill(e0, e1, occ, where, sent, tgt, toff, ptr, col, n_f, cell_ptr, cell_j, cell_k):
    known = np.full(n_f, -1, np.int32)
    for e in range(e0, e1):
        for k in range(ptr[e], ptr[e + 1]):
            known[col[k]] = k
        for o in range(occ[e], occ[e + 1]):
            i = where[o]
            s = sent[i]
            at = cell_ptr[i]
            for j in range(toff[s], toff[s + 1]):
                k = known[tgt[j]]
                if k >= 0:
                    cell_j[at] = j - toff[s]
                    cell_k[at] = k
                    at += 1
        for k in range(ptr[e], ptr[e + 1]):
            known[col[k]] = -1
