import numba as nb
import numpy as np

jit = nb.njit(cache=True, nogil=True, fastmath={"contract", "nsz", "reassoc"}, error_model="numpy")
LANES = 16


@jit
def padded(n):
    return (n + LANES - 1) // LANES * LANES


@jit
def spread(q, w, zero, n, stride, out):
    """out[i] = sum_i' q[i'] w[i - i'], w indexed from `zero`."""
    for i in range(stride):
        out[i] = 0
    for ip in range(n):
        c = q[ip]
        base = zero - ip
        for b in range(0, stride, LANES):
            for k in range(LANES):
                out[b + k] += c * w[base + b + k]


@jit
def gather(r, w, zero, n, stride, out):
    """out[i'] = sum_i r[i] w[i - i']."""
    for i in range(stride):
        out[i] = 0
    # w reversed is indexed so that this is the same loop: v[d] = w[-d]
    for i in range(n):
        c = r[i]
        base = zero - i
        for b in range(0, stride, LANES):
            for k in range(LANES):
                out[b + k] += c * w[base + b + k]


@jit
def forward_backward(emit, null, n_obs, n_states, jump, pmuj, zero, inv_norm, p0, alpha, anull, beta, work, gamma, gnull, xi, do_xi):
    """Posteriors of one sentence; returns the log likelihood.

    jump[zero + d]; pmuj[zero + d] = jump[zero - d]; inv_norm[i'+1] = 1 / sum_i jump[i - i'].
    """
    stride = padded(n_states)
    q = work[0]
    r = work[1]
    acc = work[2]
    loglik = 0.0
    # forward
    for j in range(n_obs):
        row = j * stride
        if j == 0:
            c = (1 - p0) * inv_norm[0]
            for i in range(stride):
                acc[i] = c * jump[zero + i + 1]
                q[i] = 0
            for i in range(n_states):
                q[i] = inv_norm[0]*jump[zero + i + 1]
        else:
            prev = row - stride
            for i in range(stride):
                s = alpha[prev + i] + anull[prev + i]
                q[i] = s
                r[i] = s * inv_norm[i + 1] * (1 - p0)
            spread(r, jump, zero, n_states, stride, acc)
        total = np.float32(0)
        pn = p0 * null[j]
        for i in range(stride):
            a = acc[i] * emit[row + i]
            b = q[i] * pn
            alpha[row + i] = a
            anull[row + i] = b
            total += a + b
        inv = np.float32(1) / total
        loglik += np.log(total)
        for i in range(stride):
            alpha[row + i] *= inv
            anull[row + i] *= inv
    # backward
    for i in range(stride):
        beta[i] = 1 if i < n_states else 0
    for j in range(n_obs - 1, -1, -1):
        row = j * stride
        total = np.float32(0)
        gn = np.float32(0)
        for i in range(stride):
            g = alpha[row + i] * beta[i]
            gamma[row + i] = g
            h = anull[row + i] * beta[i]
            gn += h
            total += g + h
        inv = np.float32(1) / total
        for i in range(stride):
            gamma[row + i] *= inv
        gnull[j] = gn * inv
        if j == 0:
            break
        pn = p0 * null[j]
        # r: emission * beta at j
        for i in range(stride):
            r[i] = emit[row + i] * beta[i]
        gather(r, pmuj, zero, n_states, stride, acc)
        if do_xi:
            prev = row - stride
            # scaled: alpha(j-1)*trans*emit*beta / total_j ; total_j normaliser
            tot = np.float32(0)
            for i in range(stride):
                tot += (alpha[prev + i] + anull[prev + i]) * ((1 - p0) * inv_norm[i + 1] * acc[i] + pn * beta[i])
            scale = (1 - p0) / tot
            for ip in range(n_states):
                c = (alpha[prev + ip] + anull[prev + ip]) * inv_norm[ip + 1] * scale
                base = zero - ip
                for b in range(0, stride, LANES):
                    for k in range(LANES):
                        xi[base + b + k] += c * r[b + k]
        big = np.float32(0)
        for i in range(n_states):
            v = (1 - p0) * inv_norm[i + 1] * acc[i] + pn * beta[i]
            beta[i] = v
            big = max(big, v)
        inv = np.float32(1) / big
        for i in range(n_states):
            beta[i] *= inv
    return loglik
