"""Operations on a finished run or an export: predict, evaluate, export again."""
