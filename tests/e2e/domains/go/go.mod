module company.com/payment

go 1.22
