"""Print the polynomial coefficients of `glassnet.functional.normal_tail` (needs mpmath).

Q(a) = 1 - Phi(a) = exp(-a^2/2) P(u) / (1 + a),  u = (a - 4) / (a + 4),  a >= 0

P is the Chebyshev interpolant of (1 + a) exp(a^2/2) Q(a) at 60 nodes, cut after the given number of terms and
expanded in powers of u. The substitution is that of Shepherd and Laframboise (1981), Math. Comp. 36, 249-253.
"""

import mpmath as mp

mp.mp.dps = 50
NODES = 60


def scaled_tail(u: mp.mpf) -> mp.mpf:
    a = 4 * (1 + u) / (1 - u)
    return (1 + a) * mp.exp(a * a / 2) * mp.erfc(a / mp.sqrt(2)) / 2


def powers(terms: int) -> list[mp.mpf]:
    angles = [mp.pi * (j + mp.mpf(1) / 2) / NODES for j in range(NODES)]
    values = [scaled_tail(mp.cos(t)) for t in angles]
    total = [mp.mpf(0)] * terms
    before, current = [mp.mpf(1)], [mp.mpf(0), mp.mpf(1)]  # T_0 and T_1, lowest power first
    for k in range(terms):
        c = mp.fsum(v * mp.cos(k * t) for v, t in zip(values, angles, strict=True)) * (2 if k else 1) / NODES
        for power, t in enumerate(before):
            total[power] += c * t
        after = [mp.mpf(0), *(2 * t for t in current)]
        for power, t in enumerate(before):
            after[power] -= t
        before, current = current, after
    return total


if __name__ == "__main__":
    for name, terms, digits in (("float32", 12, 10), ("float64", 25, 18)):
        print(name, "highest power first:")
        for c in reversed(powers(terms)):
            print("   ", mp.nstr(c, digits) + ",")
