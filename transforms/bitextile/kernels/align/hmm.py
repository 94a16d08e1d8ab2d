import numba as nb
import numpy as np

jit = nb.njit(cache=True, nogil=True, fastmath={"contract", "nsz", "reassoc"}, error_model="numpy")
LANES = 16


@jit
def padded(n):
    return (n + LANES - 1) // LANES * LANES


@jit
def axpy(c, x, out):
    for k in range(len(out)):
        out[k] += c * x[k]


@jit
def spread(q, w, zero, n, out, cut):
    """out[i] = sum_i' q[i'] w[i - i'] over the q above `cut`, w indexed from `zero`."""
    stride = len(out)
    out[:] = 0
    for ip in range(n):
        if q[ip] > cut:
            axpy(q[ip], w[zero - ip : zero - ip + stride], out)


@jit
def forward_backward(emit, null, n_obs, n_states, jump, pmuj, zero, inv_norm, p0, alpha, anull, beta, work, gamma, gnull, xi, do_xi, pair, eps):
    stride = padded(n_states)
    q = work[0][:stride]
    r = work[1][:stride]
    acc = work[2][:stride]
    bet = beta[:stride]
    go = inv_norm[1 : stride + 1]
    go0 = (1 - p0) * inv_norm[0]
    loglik = 0.0
    if do_xi:
        pair[: n_states * stride] = 0
    for j in range(n_obs):
        row = j * stride
        a_now = alpha[row : row + stride]
        n_now = anull[row : row + stride]
        e_now = emit[row : row + stride]
        if j == 0:
            w = jump[zero + 1 : zero + 1 + stride]
            for i in range(stride):
                acc[i] = go0 * w[i]
            for i in range(n_states):
                q[i] = inv_norm[0] * w[i]
            q[n_states:] = 0
        else:
            a_old = alpha[row - stride : row]
            n_old = anull[row - stride : row]
            for i in range(stride):
                t = a_old[i] + n_old[i]
                q[i] = t
                r[i] = t * go[i] * (1 - p0)
            spread(r, jump, zero, n_states, acc, eps)
        total = np.float32(0)
        pn = p0 * null[j]
        for i in range(stride):
            x = acc[i] * e_now[i]
            y = q[i] * pn
            a_now[i] = x
            n_now[i] = y
            total += x + y
        inv = np.float32(1) / total
        loglik += np.log(total)
        for i in range(stride):
            a_now[i] *= inv
            n_now[i] *= inv
    bet[:n_states] = 1
    bet[n_states:] = 0
    for j in range(n_obs - 1, -1, -1):
        row = j * stride
        a_now = alpha[row : row + stride]
        n_now = anull[row : row + stride]
        e_now = emit[row : row + stride]
        g_now = gamma[row : row + stride]
        total = np.float32(0)
        gn = np.float32(0)
        for i in range(stride):
            g = a_now[i] * bet[i]
            h = n_now[i] * bet[i]
            g_now[i] = g
            gn += h
            total += g + h
        inv = np.float32(1) / total
        for i in range(stride):
            g_now[i] *= inv
        gnull[j] = gn * inv
        if j == 0:
            break
        pn = p0 * null[j]
        top = np.float32(0)
        for i in range(stride):
            x = e_now[i] * bet[i]
            r[i] = x
            top = max(top, x)
        spread(r, pmuj, zero, n_states, acc, top * eps)
        a_old = alpha[row - stride : row]
        n_old = anull[row - stride : row]
        tot = np.float32(0)
        big = np.float32(0)
        for i in range(stride):
            t = a_old[i] + n_old[i]
            v = (1 - p0) * go[i] * acc[i] + pn * bet[i]
            q[i] = t
            tot += t * v
            bet[i] = v
            big = max(big, v)
        if do_xi:
            scale = (1 - p0) / tot
            for ip in range(n_states):
                if q[ip] > eps:
                    axpy(q[ip] * go[ip] * scale, r, pair[ip * stride : (ip + 1) * stride])
        inv = np.float32(1) / big
        for i in range(stride):
            bet[i] *= inv
    if do_xi:
        for ip in range(n_states):
            x = xi[zero - ip : zero - ip + n_states]
            y = pair[ip * stride : ip * stride + n_states]
            for i in range(n_states):
                x[i] += y[i]
    return loglik


@jit
def fill_emissions(s, soff, toff, cell_ptr, cell_j, cell_k, t_fe, t_ef, floor, e1, e2):
    ns = soff[s + 1] - soff[s]
    nt = toff[s + 1] - toff[s]
    st1 = padded(ns)
    st2 = padded(nt)
    for j in range(nt):
        for i in range(st1):
            e1[j * st1 + i] = floor if i < ns else 0
    for i in range(ns):
        for j in range(st2):
            e2[i * st2 + j] = floor if j < nt else 0
    for i in range(ns):
        for c in range(cell_ptr[soff[s] + i], cell_ptr[soff[s] + i + 1]):
            j = cell_j[c]
            k = cell_k[c]
            e1[j * st1 + i] = max(floor, t_fe[k])
            e2[i * st2 + j] = max(floor, t_ef[k])


@jit
def norms(jump, zero, n, out):
    """out[i' + 1] = 1 / sum_{i<n} jump[i - i'], for i' = -1 .. n - 1."""
    z = np.float32(0)
    for i in range(n):
        z += jump[zero + i + 1]
    for ip in range(-1, n):
        out[ip + 1] = 1 / z
        # next: i' + 1 gains jump[-(i'+1)], loses jump[n - 1 - i']
        z += jump[zero - ip - 1] - jump[zero + n - 1 - ip]
    for i in range(n, padded(n)):
        out[i + 1] = 0


@jit
def estep(s0, s1, soff, toff, src, tgt, cell_ptr, cell_j, cell_k, t_fe, t_ef, nl_s, nl_t, jumps1, jumps2, classes, zero, p0, floor, post, base, ll, xi1, xi2, gn_s, gn_t, do_xi, dense1, dense2, dump, eps):
    m = 1
    big = 1
    for s in range(s0, s1):
        a = padded(soff[s + 1] - soff[s])
        b = padded(toff[s + 1] - toff[s])
        m = max(m, max(a, b))
        big = max(big, a * b)
    e1 = np.empty(big, np.float32)
    e2 = np.empty(big, np.float32)
    al = np.empty(big, np.float32)
    an = np.empty(big, np.float32)
    g1 = np.empty(big, np.float32)
    g2 = np.empty(big, np.float32)
    beta = np.empty(m, np.float32)
    pair = np.empty(m * m, np.float32)
    work = np.empty((3, m), np.float32)
    gn1 = np.empty(m, np.float32)
    gn2 = np.empty(m, np.float32)
    inv = np.empty(m + 1, np.float32)
    n1 = np.empty(m, np.float32)
    n2 = np.empty(m, np.float32)
    at = 0
    for s in range(s0, s1):
        ns = soff[s + 1] - soff[s]
        nt = toff[s + 1] - toff[s]
        if ns == 0 or nt == 0:
            continue
        st1 = padded(ns)
        st2 = padded(nt)
        fill_emissions(s, soff, toff, cell_ptr, cell_j, cell_k, t_fe, t_ef, floor, e1, e2)
        for i in range(ns):
            n1[i] = nl_s[src[soff[s] + i]]
        for j in range(nt):
            n2[j] = nl_t[tgt[toff[s] + j]]
        c1 = classes[ns]
        c2 = classes[nt]
        norms(jumps1[c1, 0], zero, ns, inv)
        ll[0] += forward_backward(e1, n2, nt, ns, jumps1[c1, 0], jumps1[c1, 1], zero, inv, p0, al, an, beta, work, g1, gn1, xi1[c1], do_xi, pair, eps)
        norms(jumps2[c2, 0], zero, nt, inv)
        ll[1] += forward_backward(e2, n1, ns, nt, jumps2[c2, 0], jumps2[c2, 1], zero, inv, p0, al, an, beta, work, g2, gn2, xi2[c2], do_xi, pair, eps)
        for j in range(nt):
            gn_t[toff[s] + j] = gn1[j]
        for i in range(ns):
            gn_s[soff[s] + i] = gn2[i]
            for c in range(cell_ptr[soff[s] + i], cell_ptr[soff[s] + i + 1]):
                j = cell_j[c]
                post[c - base] = g1[j * st1 + i] * g2[i * st2 + j]
        if dump:
            for i in range(ns):
                for j in range(nt):
                    dense1[at] = g1[j * st1 + i]
                    dense2[at] = g2[i * st2 + j]
                    at += 1


@jit
def add_counts(cell_k, post, lo, hi, base, count):
    for c in range(lo, hi):
        count[cell_k[c]] += post[c - base]
