// Data-quality bits; gpujw/dq.py holds the same.
#pragma once

constexpr unsigned int DO_NOT_USE = 1u << 0;
constexpr unsigned int SATURATED = 1u << 1;
constexpr unsigned int JUMP_DET = 1u << 2;
constexpr unsigned int DROPOUT = 1u << 3;
constexpr unsigned int OUTLIER = 1u << 4;
constexpr unsigned int PERSISTENCE = 1u << 5;
constexpr unsigned int AD_FLOOR = 1u << 6;
constexpr unsigned int CHARGELOSS = 1u << 7;
constexpr unsigned int RESERVED = 1u << 8;
constexpr unsigned int NON_SCIENCE = 1u << 9;
constexpr unsigned int DEAD = 1u << 10;
constexpr unsigned int HOT = 1u << 11;
constexpr unsigned int WARM = 1u << 12;
constexpr unsigned int LOW_QE = 1u << 13;
constexpr unsigned int RC = 1u << 14;
constexpr unsigned int TELEGRAPH = 1u << 15;
constexpr unsigned int NONLINEAR = 1u << 16;
constexpr unsigned int BAD_REF_PIXEL = 1u << 17;
constexpr unsigned int NO_FLAT_FIELD = 1u << 18;
constexpr unsigned int NO_GAIN_VALUE = 1u << 19;
constexpr unsigned int NO_LIN_CORR = 1u << 20;
constexpr unsigned int NO_SAT_CHECK = 1u << 21;
constexpr unsigned int UNRELIABLE_BIAS = 1u << 22;
constexpr unsigned int UNRELIABLE_DARK = 1u << 23;
constexpr unsigned int UNRELIABLE_SLOPE = 1u << 24;
constexpr unsigned int UNRELIABLE_FLAT = 1u << 25;
constexpr unsigned int OPEN = 1u << 26;
constexpr unsigned int ADJ_OPEN = 1u << 27;
constexpr unsigned int FLUX_ESTIMATED = 1u << 28;
constexpr unsigned int MSA_FAILED_OPEN = 1u << 29;
constexpr unsigned int OTHER_BAD_PIXEL = 1u << 30;
constexpr unsigned int REFERENCE_PIXEL = 1u << 31;
