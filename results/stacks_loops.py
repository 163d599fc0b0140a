def rows(methods, levels, wanted):
    return iter(())
