await Promise.resolve()
throw new Error('the database is away')
